# The NixOS system of a node with every runtime that can be had: with a profile, a machine for
# NixOS' script that runs it under QEMU; without one, what a disk is made of.
{
  modules,
  nixpkgs,
  profile ? null,
  system,
  tables,
}:
let
  inherit (nixpkgs) lib;
  containerd = nixpkgs.legacyPackages.${system}.containerd.version;
  isTooOldFor =
    version: row:
    row ? containerd_newest && builtins.compareVersions version "${row.containerd_newest}.999" > 0;
  there = lib.filterAttrs (_: row: !row ? absent && !isTooOldFor containerd row) tables.runtimes;
  place =
    if profile == null then
      {
        boot.loader.grub.device = lib.mkDefault "/dev/vda";
        fileSystems."/" = {
          device = lib.mkDefault "/dev/disk/by-label/nixos";
          fsType = lib.mkDefault "ext4";
        };
        # Without a size a disk is as full as it can be, and images are imported into it.
        image.modules.qemu.virtualisation.diskSize = 40960;
      }
    else
      { imports = [ "${nixpkgs}/nixos/modules/virtualisation/qemu-vm.nix" ]; };
in
lib.nixosSystem {
  modules = [
    modules.node
    place
    {
      nixpkgs.hostPlatform = system;
      networking.hostName = "wamr-node";
      system.stateVersion = "26.05";
      services.wamr-lab.node = {
        enable = true;
        inherit profile;
        runtimes = lib.attrNames there;
        workloads = lib.filter (name: tables.workloads ? ${name}) (
          lib.unique (lib.concatMap (row: row.workloads) (lib.attrValues there))
        );
      };
    }
  ];
}
