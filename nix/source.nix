# What the builds read of the repository, and what all crates have in common.
{ lib }:
{
  version = (lib.importTOML ../Cargo.toml).workspace.package.version;

  # Named folders: a changed document or recipe rebuilds nothing.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../.cargo
      ../.config
      ../CLAIMS.md
      ../README.md
      ../Cargo.lock
      ../Cargo.toml
      ../analysis
      ../data/demo
      ../data/reference
      ../lab
      ../packaging
      ../runtime
      ../shim
      ../testing
      ../vm-images
    ];
  };

  # The lock file carries every hash, so none is repeated here.
  cargoLock.lockFile = ../Cargo.lock;

  meta = {
    license = lib.licenses.asl20;
    platforms = [
      "aarch64-linux"
      "x86_64-linux"
    ];
  };
}
