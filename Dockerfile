# Onethread as an image: `docker build -t onethread:0.1.0 .` compose.yaml builds it by itself, docs/operate.md runs it.
#
# The packages are those of requirements/core.lock and no others, by their hashes, installed by the same code that does
# it on any machine; so the process that starts finds everything in place and writes nothing.

ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS packages
WORKDIR /app
COPY requirements/ requirements/
COPY server/__init__.py server/settings.py server/
COPY server/command_line/__init__.py server/command_line/commands.py server/command_line/environment.py server/command_line/
RUN python3 -c "from server.command_line.environment import ensure; ensure('core')"

FROM python:${PYTHON}
RUN groupadd --gid 10001 onethread \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin onethread \
 && install --directory --owner=onethread --group=onethread --mode=0700 /data
WORKDIR /app
COPY --from=packages /app/.venv/ .venv/
COPY LICENSE pyproject.toml run.py ./
COPY requirements/ requirements/
COPY channels/ channels/
COPY knowledge_base/ knowledge_base/
COPY server/ server/
COPY widget/dist/ widget/dist/
COPY deploy/healthy.py deploy/mongo_set.py deploy/
RUN .venv/bin/python -m compileall -q channels knowledge_base server

# Listening on every address needs ONETHREAD_PUBLIC_URL: without it a start is refused, with a sentence that says so.
ENV ONETHREAD_HOST=0.0.0.0 ONETHREAD_PORT=8000 ONETHREAD_DATA=/data
VOLUME /data
EXPOSE 8000
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["/app/.venv/bin/python", "deploy/healthy.py"]
ENTRYPOINT ["/app/.venv/bin/python", "run.py"]
CMD ["serve"]
