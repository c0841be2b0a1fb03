"""Where the wallet is: in this process, or a service of its own."""
