"""The one command, `manage.py bemi`."""
