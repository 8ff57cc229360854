# Stands in for treefmt-nix where it cannot be had.
{
  outputs = _: {
    lib.evalModule =
      pkgs: module:
      assert builtins.isAttrs (import module { inherit pkgs; });
      {
        config.build = {
          wrapper = pkgs.runCommand "treefmt" { meta.mainProgram = "treefmt"; } "";
          check = source: pkgs.runCommand "treefmt-check" { } "cd ${source}";
        };
      };
  };
}
