"""What all rows share: the scratch, the material, processes, peers, the report."""
