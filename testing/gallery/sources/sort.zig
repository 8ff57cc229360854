//! A sorted list that grows, and a checksum of it; memory of the page allocator.

const std = @import("std");

pub fn main() !void {
    const memory = std.heap.page_allocator;
    const count = 200_000;
    const numbers = try memory.alloc(u64, count);
    defer memory.free(numbers);
    var state: u64 = 88172645463325252;
    for (numbers) |*number| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        number.* = state;
    }
    std.mem.sort(u64, numbers, {}, std.sort.asc(u64));
    var sum = std.hash.Crc32.init();
    sum.update(std.mem.sliceAsBytes(numbers));
    var line: [64]u8 = undefined;
    const text = try std.fmt.bufPrint(&line, "{d} {x}\n", .{ numbers[count / 2], sum.final() });
    var written: usize = 0;
    const pieces = [_]std.os.wasi.ciovec_t{.{ .base = text.ptr, .len = text.len }};
    _ = std.os.wasi.fd_write(1, &pieces, 1, &written);
}
