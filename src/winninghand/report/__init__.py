"""What people look at: tables in the terminal, charts, pages."""
