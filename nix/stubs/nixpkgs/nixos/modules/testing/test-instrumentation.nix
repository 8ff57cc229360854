# What NixOS' test driver adds to every machine of a test: it bends what a measurement reads.
# Source: nixpkgs nixos/modules/testing/test-instrumentation.nix and `nodeDefaults` of
# nixos/lib/testing/driver.nix, copies of mid-2026.
{ lib, ... }:
{
  boot = {
    consoleLogLevel = 7;
    kernel.sysctl = {
      "kernel.hung_task_timeout_secs" = 600;
      "vm.panic_on_oom" = lib.mkDefault 2;
    };
    kernelParams = [
      "console=ttyS0"
      "console=tty0"
      "panic=1"
      "boot.panic_on_fail"
      "clocksource=acpi_pm"
    ];
  };
  services.journald.extraConfig = ''
    ForwardToConsole=yes
    TTYPath=/dev/ttyS0
    MaxLevelConsole=debug
  '';
  virtualisation.qemu.enableSharedMemory = lib.mkDefault true;
}
