# The tables that the lab itself reads. Nix adds no runtime, peer, workload or size of its own.
{ lib }:
{
  runtimes = lib.importTOML ../lab/runtimes.toml;
  peers = lib.importTOML ../vm-images/peers/peers.toml;
  # Those that are made on demand, the lab makes by itself: their modules are PyPI's.
  workloads = lib.filterAttrs (_: row: !(row.on_demand or false)) (
    lib.importTOML ../vm-images/workloads/workloads.toml
  );
  profiles = lib.importTOML ../vm-images/vm/profiles.toml;
}
