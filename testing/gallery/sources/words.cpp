// Counts words of standard input with libc++'s streams, strings, maps and sorting.

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <vector>

int main() {
    std::map<std::string, int> counts;
    for (std::string word; std::cin >> word;) {
        ++counts[word];
    }
    std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto &a, const auto &b) { return a.second > b.second; });
    for (const auto &[word, count] : sorted) {
        std::cout << std::setw(6) << count << ' ' << word << '\n';
    }
    double sum = 0;
    for (int term = 0; term < 20000000; ++term) {
        sum += (term % 2 ? -4.0 : 4.0) / (2 * term + 1);
    }
    std::cout << std::setprecision(12) << sum << std::endl;
}
