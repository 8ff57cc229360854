# The NixOS modules, with what they take from this repository. A module that is imported twice, by a
# machine and by another module, counts once: `key` says which it is.
{
  packagesFor,
  tables,
}:
let
  module = name: path: {
    _file = "nix/modules/${name}.nix";
    key = "wamr-lab/${name}";
    imports = [ (import path { inherit modules packagesFor tables; }) ];
  };
  modules = {
    handlers = module "handlers" ./handlers.nix;
    node = module "node" ./node.nix;
    default = modules.node;
  };
in
modules
