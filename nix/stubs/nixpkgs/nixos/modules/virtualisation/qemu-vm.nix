# The options of virtual machines that this repository sets, and QEMU's command line as far as they
# make it. Source: nixpkgs nixos/modules/virtualisation/qemu-vm.nix, copy of mid-2026.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  option = type: default: mkOption { inherit default type; };
  cfg = config.virtualisation;
in
{
  imports = [ ./disk-size-option.nix ];

  options.virtualisation = {
    cores = option types.ints.positive 1;
    memorySize = option types.ints.positive 1024;
    graphics = option types.bool true;
    useNixStoreImage = option types.bool false;
    writableStore = option types.bool (!cfg.useNixStoreImage);
    qemu.enableSharedMemory = option types.bool false;
    qemu.options = option (types.listOf types.str) [ ];
  };

  config = {
    virtualisation = {
      diskSizeAutoSupported = false;
      # With a backend QEMU takes no other size: it compares the two when it starts.
      qemu.options = lib.mkMerge [
        (mkIf cfg.qemu.enableSharedMemory [
          "-object memory-backend-memfd,id=mem0,size=${toString cfg.memorySize}M,share=on"
          "-machine memory-backend=mem0"
        ])
        (mkIf (!cfg.graphics) [ "-nographic" ])
      ];
    };
    system.build.vm = pkgs.runCommand "nixos-vm" {
      inherit (config.system.build) toplevel;
      command = lib.concatStringsSep " " (
        [
          "-m ${toString cfg.memorySize}"
          "-smp ${toString cfg.cores}"
        ]
        ++ cfg.qemu.options
        ++ [ "$QEMU_OPTS" ]
      );
      meta.mainProgram = "run-${config.networking.hostName}-vm";
    } "";
  };
}
