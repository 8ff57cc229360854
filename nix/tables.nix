# The tables that the lab itself reads. Nix adds no runtime, peer, workload or size of its own.
{ lib }:
{
  runtimes = lib.importTOML ../lab/runtimes.toml;
  peers = lib.importTOML ../vm-images/peers/peers.toml;
  workloads = lib.importTOML ../vm-images/workloads/workloads.toml;
  profiles = lib.importTOML ../vm-images/vm/profiles.toml;
}
