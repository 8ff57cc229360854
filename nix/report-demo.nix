# The report of data/demo, from the raw data alone: the same on every machine.
{ runCommand, wamr-report }:
runCommand "wamr-report-demo" { nativeBuildInputs = [ wamr-report ]; } ''
  wamr-report verify ${../data/demo}
  wamr-report build ${../data/demo} --out $out
''
