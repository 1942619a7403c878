"""State for any document (`--stateful`): what a POST creates, later requests find, change and delete."""
