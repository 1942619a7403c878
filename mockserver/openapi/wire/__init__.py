"""How values travel in HTTP: parameter styles, forms, XML, and which documented media type fits `Accept`."""
