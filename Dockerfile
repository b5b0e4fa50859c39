# The service in a container: slim, non-root, and at home on a read-only root (compose.yaml).
#   docker build --tag onesheet .
#   docker run --rm --read-only --tmpfs /tmp --env ONESHEET_TOKEN --publish 127.0.0.1:8000:8000 onesheet
# scripts/check-deploy runs these steps without Docker.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/onesheet
RUN /opt/onesheet/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home onesheet
COPY --from=build /opt/onesheet /opt/onesheet
USER onesheet
WORKDIR /home/onesheet
ENV PATH=/opt/onesheet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["onesheet"]
CMD ["serve", "--host", "0.0.0.0"]
