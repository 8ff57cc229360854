// The game of life on a torus: AssemblyScript's arrays, strings and its collector.

const size = 64;

function step(cells: Array<bool>): Array<bool> {
  const next = new Array<bool>(size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let around = 0;
      for (let dy = size - 1; dy <= size + 1; dy++) {
        for (let dx = size - 1; dx <= size + 1; dx++) {
          if (dy == size && dx == size) continue;
          if (cells[((y + dy) % size) * size + ((x + dx) % size)]) around++;
        }
      }
      next[y * size + x] = around == 3 || (around == 2 && cells[y * size + x]);
    }
  }
  return next;
}

let cells = new Array<bool>(size * size);
let state: u32 = 2463534242;
for (let at = 0; at < size * size; at++) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  cells[at] = state % 3 == 0;
}
for (let round = 0; round < 500; round++) cells = step(cells);
for (let y = 0; y < 4; y++) {
  let line = "";
  for (let x = 0; x < size; x++) line += cells[y * size + x] ? "#" : ".";
  console.log(line);
}
