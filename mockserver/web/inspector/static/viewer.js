"use strict";
// Starts Swagger UI with the document of this server; its requests name the sandbox of the page.
addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("viewer");
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (new URL(request.url, location.href).origin === location.origin && !request.loadSpec) {
        request.headers["X-Mock-Sandbox"] = place.dataset.sandbox;
      }
      return request;
    },
  });
});
