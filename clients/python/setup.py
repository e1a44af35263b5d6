"""Makes `vejr.v1` from `proto/` whenever the package is built; what it makes is not kept in the repository."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithStubs(build_py):
    def run(self):
        super().run()
        import grpc_tools
        from grpc_tools import protoc

        # an editable installation reads src/ itself
        out = Path("src" if self.editable_mode else self.build_lib)
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        protos = sorted(str(path) for path in Path("proto").rglob("*.proto"))
        if not protos:
            raise FileNotFoundError(f"no .proto files in {Path('proto').resolve()}; build from a clone of the repository")
        outputs = [f"--{kind}_out={out}" for kind in ["python", "pyi", "grpc_python"]]
        if protoc.main(["protoc", "-Iproto", f"-I{well_known}", *outputs, *protos]) != 0:
            raise RuntimeError("protoc failed; its messages are above")
        (out / "vejr/v1/__init__.py").write_text('"""Messages and stubs, generated from `proto/vejr/v1`."""\n')


setup(cmdclass={"build_py": BuildWithStubs})
