"""The package's definition: what Dataflow's --setup_file installs on its workers."""

from pathlib import Path

from setuptools import find_packages, setup

# Workers install only what workers use: the tuning half is an extra.
WORKER = [
    "apache-beam[gcp]>=2.76,<2.78",
    "av>=18.1,<19",
    "ffmpeg-python>=0.2,<0.3",
    "google-api-core>=2.44,<3",
    "google-auth>=2.49,<3",
    "google-cloud-storage>=3.4.1,<4",
    "google-cloud-dataflow-client>=0.13,<0.14",
    "google-crc32c>=1.6,<2",
    "grpcio>=1.83,<2",
    "imageio-ffmpeg>=0.6,<0.9",
    "jsonschema>=4.18,<5",
    "msgspec>=0.20,<1",
    "numpy>=1.26,<3",
    "openpyxl>=3.1,<4",
    "orjson>=3.9.7,<4",
    "packaging>=22",
    "protobuf>=6.33.5,<8",
    "pyarrow>=15,<26",
    "pybase64>=1.4,<2",
    "pyyaml>=6,<7",
    "referencing>=0.31,<1",
    "regex>=2024.4.16",
    "requests>=2.33,<3",
    "rich>=13,<16",
    "shtab>=1.7,<2",
    "soundfile>=0.13.1,<0.15",
    "soxr>=0.5,<2",
]
TUNING = [
    "google-cloud-aiplatform>=1.153,<2",
    "google-genai>=2.8,<4",  # aiplatform asks for less than 3, though it runs with 3, too
    "pydantic>=2.10,<3",
    "rapidfuzz>=3.10,<4",
    "starlette>=0.46,<2",
    "uvicorn>=0.34,<1",
    "whisper-normalizer>=0.1.12,<0.2",
]
TEST = [
    "cryptography>=39",
    "datasets>=4,<6",
    "gcp-storage-emulator>=2024.8.3",
    "httpx>=0.28.1,<1",
    "hypothesis>=6.120,<7",
    "jiwer>=4,<5",
    "pandas>=2.2,<4",
    # Where there is a wheel of it: building it takes a compiler. Tests that ask it are left out elsewhere.
    "pocketsphinx>=5.0.4,<5.2; python_version < '3.14' and (python_version != '3.12' or platform_machine != 'aarch64')",
    "praatio>=6,<7",
    "pympi-ling>=1.71,<2",
    "pysubs2>=1.8,<2",
    "pytest>=9,<10",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.6,<4",
    "scipy>=1.15,<2",
    "setuptools>=77",
    "webdataset>=1,<2",
    "webvtt-py>=0.5.1,<0.7",
]
LINT = [
    "mypy>=1.15,<3",
    "pyarrow-stubs>=17",
    "pytest-cov>=7,<8",
    "ruff>=0.11,<1",
    "scipy-stubs>=1.15",
    "types-jsonschema>=4.18",
    "types-PyYAML>=6",
]
MUTANTS = ["mutmut==3.8.1"]  # another version makes other mutants

setup(
    name="cliptune",
    version="0.1.0",
    description="From recordings and texts to a tuned, evaluated Gemini model, every clip accounted for",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["beam_pipeline*", "transforms*", "tuning*", "cliptune*"]),
    package_data={"": ["py.typed"]},
    install_requires=WORKER,
    extras_require={"tuning": TUNING, "test": TUNING + TEST + LINT, "mutants": MUTANTS},
    entry_points={"console_scripts": ["cliptune = cliptune.__main__:main"]},
)
