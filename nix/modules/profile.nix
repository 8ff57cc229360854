# The size of a virtual machine, from vm-images/vm/profiles.toml.
{ tables }:
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.wamr-lab.node;
  profile = tables.profiles.${cfg.profile};
  isVirtual = options ? virtualisation.memorySize;
  # For a warning, no bound: data/demo/report has what a pod of each system takes.
  mibPerPod = 8;
in
{
  config = lib.mkIf (cfg.enable && cfg.profile != null) (
    lib.mkMerge [
      {
        warnings = lib.optional (cfg.maxPods * mibPerPod > profile.memory_mib) (
          "services.wamr-lab.node: maxPods = ${toString cfg.maxPods} on the profile"
          + " ${cfg.profile} with ${toString profile.memory_mib} MiB: less than"
          + " ${toString mibPerPod} MiB for each."
        );
        assertions = [
          {
            assertion = isVirtual;
            message =
              "services.wamr-lab.node.profile = \"${cfg.profile}\", but this machine has no"
              + " virtualisation.memorySize: import nixpkgs'"
              + " nixos/modules/virtualisation/qemu-vm.nix, or leave the profile out.";
          }
        ];
      }
      (lib.optionalAttrs isVirtual {
        virtualisation = {
          cores = profile.vcpus;
          memorySize = profile.memory_mib;
          diskSize = lib.mkDefault 40960;
          graphics = false;
          # Neither an overlay in memory nor the host's files are then part of a reading.
          writableStore = false;
          useNixStoreImage = true;
          qemu.options = [ "-cpu ${profile.cpu}" ];
        };
      })
    ]
  );
}
