"""One file per paper. METHODS lists them; a method is loaded when it is asked for, so that listing needs no torch."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from crossbit.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from crossbit.method import Method

METHODS: dict[str, str] = {
    "random-projection": "crossbit.methods.random_projection:RandomProjection",
    "cca-sign": "crossbit.methods.cca_sign:CCASign",
    "cca-itq": "crossbit.methods.cca_itq:CCAITQ",
    "cvh": "crossbit.methods.cvh:CVH",
    "imh": "crossbit.methods.imh:IMH",
    "pdh": "crossbit.methods.pdh:PDH",
    "cmfh": "crossbit.methods.cmfh:CMFH",
    "lssh": "crossbit.methods.lssh:LSSH",
    "rfdh": "crossbit.methods.rfdh:RFDH",
    "fsh": "crossbit.methods.fsh:FSH",
    "cmsth": "crossbit.methods.cmsth:CMSTH",
    "djsrh": "crossbit.methods.djsrh:DJSRH",
    "jdsh": "crossbit.methods.jdsh:JDSH",
    "dsah": "crossbit.methods.dsah:DSAH",
    "dgcpn": "crossbit.methods.dgcpn:DGCPN",
    "cirh": "crossbit.methods.cirh:CIRH",
    "agch": "crossbit.methods.agch:AGCH",
    "daeh": "crossbit.methods.daeh:DAEH",
    "kdcmh": "crossbit.methods.kdcmh:KDCMH",
    "sakdh": "crossbit.methods.sakdh:SAKDH",
    "ugach": "crossbit.methods.ugach:UGACH",
    "ukd": "crossbit.methods.ukd:UKD",
    "ucch": "crossbit.methods.ucch:UCCH",
    "duch": "crossbit.methods.duch:DUCH",
    "jmgch": "crossbit.methods.jmgch:JMGCH",
    "pldh": "crossbit.methods.pldh:PLDH",
    "scm": "crossbit.methods.scm:SCM",
    "hcsr": "crossbit.methods.hcsr:HCSR",
    "seph": "crossbit.methods.seph:SePH",
    "sccmh": "crossbit.methods.sccmh:SCCMH",
    "ssah": "crossbit.methods.ssah:SSAH",
    "dadh": "crossbit.methods.dadh:DADH",
    "dmfh": "crossbit.methods.dmfh:DMFH",
    "dcmh": "crossbit.methods.dcmh:DCMH",
    "shdch": "crossbit.methods.shdch:SHDCH",
    "hichnet": "crossbit.methods.hichnet:HiCHNet",
    "dchmt": "crossbit.methods.dchmt:DCHMT",
    "dsph": "crossbit.methods.dsph:DSPH",
    "mith": "crossbit.methods.mith:MITH",
    "ckdh": "crossbit.methods.ckdh:CKDH",
    "dhsl": "crossbit.methods.dhsl:DHSL",
    "kdcmh-labels": "crossbit.methods.kdcmh_labels:KDCMHLabels",
}
"""Every method's name and where its class stands."""


def load_method(name: str) -> type[Method]:
    """The class of a method by its name.

    Raises SettingsError for an unknown name, listing the known ones, and MissingExtraError where the method is
    learned with torch and torch is not installed.
    """
    if name not in METHODS:
        raise SettingsError(f"There is no method {name!r}; there are {', '.join(METHODS)}.")
    module, class_name = METHODS[name].split(":")
    try:
        return getattr(importlib.import_module(module), class_name)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingExtraError(f"The method {name!r}", "train") from error
        raise


@functools.cache
def needs_labels(name: str) -> bool:
    """Whether a method learns with labels, read from its source, so that telling needs no torch.

    Raises SettingsError for an unknown name.
    """
    if name not in METHODS:
        raise SettingsError(f"There is no method {name!r}; there are {', '.join(METHODS)}.")
    module, class_name = METHODS[name].split(":")
    found = importlib.util.find_spec(module)
    source = Path(found.origin).read_text(encoding="utf-8") if found and found.origin else ""
    (kind,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == class_name]
    if any(isinstance(parent, ast.Name) and parent.id == "HierarchicalMethod" for parent in kind.bases):
        return True  # all of these do
    return any(
        isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and line.target.id == "supervised"
        and isinstance(line.value, ast.Constant)
        and line.value.value is True
        for line in kind.body
    )
