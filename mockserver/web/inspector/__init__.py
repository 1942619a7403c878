"""The inspector: HTML pages under /__admin/ that show a sandbox. They read and change it through the admin API only."""
