"What pip installs: the names and requirements come from settings.ini, which nbdev reads too."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

root = Path(__file__).parent
settings = ConfigParser(delimiters=["="])
settings.read(root/"settings.ini", encoding="utf-8")
cfg = settings["DEFAULT"]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(root/"README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=cfg["keywords"].split(),
    python_requires=f">={cfg['min_python']}",
    # The papermill templates and their configs live beside the lessons; a wheel carries
    # them as trm_lab/experiments.
    packages=[*find_packages(include=["trm_lab", "trm_lab.*"]), "trm_lab.experiments"],
    package_dir={"trm_lab.experiments": "nbs/experiments"},
    package_data={
        "trm_lab": ["pretrained/*"],
        "trm_lab.models": ["static/*"],
        "trm_lab.views": ["static/*"],
        "trm_lab.experiments": ["*.ipynb", "probes/*.ipynb", "studies/*.ipynb", "configs/*.yaml",
            "configs/*/*.yaml", "sweeps/*.yaml"],
    },
    install_requires=cfg["requirements"].split(),
    extras_require={name: cfg[f"{name}_requirements"].split() for name in ("lab", "hub",
        "sweep", "arc", "export", "docs", "dev")},
    entry_points={"console_scripts": ["trm-lab=trm_lab.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
