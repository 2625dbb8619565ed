// Directives come before everything else, so this file comes first.
enable f16;
