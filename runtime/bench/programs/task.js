// A program in JavaScript, so many rounds: objects, strings, closures, regular expressions, sorting.

print("start_ns=" + Date.now() + "000000");

const work = (rounds) => {
    let state = 12345;
    let checksum = 0;
    const next = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);
    for (let round = 0; round < rounds; round++) {
        const words = {};
        for (let i = 0; i < 300; i++) {
            const word = `w${next() % 97}-${state % 13}`;
            words[word] = (words[word] || 0) + 1;
        }
        const common = Object.entries(words)
            .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
            .slice(0, 10);
        const text = common.map(([word, count]) => `${word}=${count}`).join(",");
        const digits = text.replace(/[^0-9]+/g, "");
        for (const digit of digits) {
            checksum = (Math.imul(checksum, 31) + Number(digit)) | 0;
        }
    }
    return checksum >>> 0;
};

const begin = Date.now();
const result = work(Number(scriptArgs[1]));
print("duration_ns=" + (Date.now() - begin) + "000000");
print("checksum=" + result.toString(16));
