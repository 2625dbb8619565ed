// What a module with subgroup matrices begins with; directives come before everything else, so this file comes first.
// The uniformity analysis knows workgroups only, and which matrices a subgroup takes depends on the subgroup: the
// kernels promise to call matrix functions where all lanes of a subgroup agree.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
