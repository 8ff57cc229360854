// Says its arguments, the variable NAME and what is in /data/f; exits with their number.

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        printf("%s|", argv[i]);
    }
    printf("%s|", getenv("NAME"));
    char text[64] = "";
    FILE *file = fopen("/data/f", "r");
    if (file) {
        fgets(text, sizeof text, file);
    }
    printf("%s|", text);
    return argc;
}
