# The portal and its worker in one image; compose.yaml puts the database and a proxy beside it.
FROM python:3.12-slim-trixie

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/traceml
COPY requirements.lock ./
RUN pip install --require-hashes --no-deps -r requirements.lock
COPY . ./
RUN pip install --no-deps --no-build-isolation ./agent
RUN SECRET_KEY=only-for-this-step-0123456789abcdefghijklmnopqrstuvwxyz TRACEML_STATIC_ROOT=/srv/static TRACEML_DATA=/tmp/build python manage.py collectstatic --no-input && rm -rf /tmp/build

RUN useradd --system --uid 10001 --home-dir /srv/traceml traceml && install -d -o 10001 -m 700 /data /backup
USER 10001
ENV HOST=0.0.0.0 PORT=8000 TRACEML_DATA=/data TRACEML_STATIC_ROOT=/srv/static
VOLUME ["/data", "/backup"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["deploy/start"]
CMD ["portal"]
