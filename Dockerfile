# docker build -t mockserver . && docker run --rm -p 4024:4024 mockserver
# Another port: -e MOCKSERVER_PORT=8080, not --port 8080, so that the health check hears of it, too.

# The base image is named by its tag, because the project's machines reach no image registry to read a digest from. To pin
# it (`docker buildx imagetools inspect python:3.13-slim` prints the digest), build with
# --build-arg BASE=python:3.13-slim@sha256:...
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/mockserver && python -m venv /opt/build
# What the server needs, with the extras for a shared store and for metrics.
COPY requirements/image.txt requirements/build.txt requirements/
RUN /opt/mockserver/bin/python -m pip install --no-deps --require-hashes -r requirements/image.txt \
 && /opt/build/bin/python -m pip install --no-deps --require-hashes -r requirements/build.txt
COPY pyproject.toml hatch_build.py README.md LICENSE* openapi.yaml ./
COPY fixtures fixtures
COPY mockserver mockserver
RUN /opt/build/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir /tmp/wheels . \
 && /opt/mockserver/bin/python -m pip install --no-deps /tmp/wheels/*.whl \
 && /opt/mockserver/bin/python -m pip check \
 && /opt/mockserver/bin/python -m pip uninstall --yes --quiet pip \
 && /opt/mockserver/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/mockserver/lib

FROM ${BASE}
# The image comes without byte code for the standard library, and a user who is not root could never write it:
# every start would compile it again.
RUN python -m compileall -q --invalidation-mode unchecked-hash \
        -x '/(ensurepip|idlelib|pydoc_data|site-packages|test|tkinter|turtledemo)/' /usr/local/lib/python3.13 \
 && groupadd --system --gid 10001 mockserver \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin mockserver
COPY --from=build /opt/mockserver /opt/mockserver
ENV PATH=/opt/mockserver/bin:$PATH \
    MOCKSERVER_HOST=0.0.0.0
USER 10001:10001
# Proves that what was packed can be served.
RUN ["mockserver", "check"]
EXPOSE 4024
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["mockserver", "healthcheck"]
ENTRYPOINT ["mockserver"]
CMD ["serve"]
