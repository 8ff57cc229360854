# What `nix fmt` runs, and what the check of formatting compares with. statix is not among it: of
# `b = a.b or c` it makes `inherit (a) b`, and the default is lost.
{ ... }:
{
  projectRootFile = "flake.nix";
  programs = {
    nixfmt.enable = true;
    deadnix = {
      enable = true;
      # Which arguments a module or a package takes is told by its pattern.
      no-lambda-pattern-names = true;
    };
    rustfmt.enable = true;
  };
  settings.excludes = [
    "data/**"
    "runtime/tests/corpus/**"
  ];
}
