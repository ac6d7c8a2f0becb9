# The image of Dataflow's workers: nothing is installed when they start, and they need no internet.
#
#   docker build --tag REGION-docker.pkg.dev/PROJECT/REPOSITORY/cliptune .
#   cliptune prepare … --runner=DataflowRunner --sdk_container_image=REGION-docker.pkg.dev/PROJECT/REPOSITORY/cliptune
#
# Python's minor version is that of the machine from which jobs are submitted: --build-arg PYTHON=3.12
ARG PYTHON=3.11
FROM apache/beam_python${PYTHON}_sdk:2.77.0
WORKDIR /opt/cliptune
COPY requirements.lock setup.py pyproject.toml README.md LICENSE ./
COPY beam_pipeline beam_pipeline
COPY cliptune cliptune
COPY transforms transforms
COPY tuning tuning
# The lock decides every version, as it does where jobs are submitted: workers with other decoders are refused.
RUN pip install --no-cache-dir --constraint requirements.lock . && pip check
# The image's own entry point starts the worker.
