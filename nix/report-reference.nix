# The report of the recorded run of all runtimes, from its raw data: it must be the committed one.
{ runCommand, wamr-report }:
runCommand "wamr-report-reference" { nativeBuildInputs = [ wamr-report ]; } ''
  tar -xzf ${../data/reference/run.tar.gz}
  wamr-report verify reference
  wamr-report build reference --out $out
  diff -r ${../data/reference/report} $out
''
