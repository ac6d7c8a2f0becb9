"""Every fact of the service, held against the code, the documentation and the emulator."""
