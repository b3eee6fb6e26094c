"""A page that opens offline: it loads nothing, and no script in it may run."""

from __future__ import annotations


def offline_page(title: str, style: str, body: str) -> str:
    """The whole page. Title and body are put in as they are: what models wrote in them must be escaped before."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
