# Ranges of IPv4 addresses, for the arithmetic of nodes and pods.
{ lib }:
let
  power = exponent: if exponent == 0 then 1 else 2 * power (exponent - 1);
  mod = value: divisor: value - value / divisor * divisor;
  octet = "([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])";
  pattern = "${octet}[.]${octet}[.]${octet}[.]${octet}/([0-9]|[12][0-9]|3[0-2])";
  text =
    value:
    lib.concatMapStringsSep "." (shift: toString (mod (value / power shift) 256)) [
      24
      16
      8
      0
    ];
in
rec {
  # What `cidr` spans; null if it is no range, or its address is not the first one of the range.
  parse =
    cidr:
    let
      parts = builtins.match pattern cidr;
      numbers = map lib.toInt parts;
      first = lib.foldl' (sum: part: sum * 256 + part) 0 (lib.take 4 numbers);
      prefixLength = lib.elemAt numbers 4;
      size = power (32 - prefixLength);
    in
    if parts == null || mod first size != 0 then
      null
    else
      {
        inherit first prefixLength size;
        last = first + size - 1;
      };
  # The first address that a machine can have.
  hostOf =
    cidr:
    let
      range = parse cidr;
    in
    if range == null then "0.0.0.0" else text (range.first + 1);
  overlap = a: b: a.first <= b.last && b.first <= a.last;
}
