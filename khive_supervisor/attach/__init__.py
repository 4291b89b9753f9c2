"""`khive-supervisor attach`: hand this process's pipes to a session worker, in milliseconds."""


def main(arguments: list[str]) -> None:
    """Attach. Sessions that wait since 0.2.0 call it here when they attach again."""
    from khive_supervisor.attach.command import main as attach

    attach(arguments)
