"""Run as `python -m report_mailer`."""
