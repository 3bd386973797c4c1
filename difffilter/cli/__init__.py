"""The command line: a file a group of commands, each a thin layer over one public function."""
