"""The curation pack: what people do with what is stored."""
