// Takes time and changes nothing that matters: the self-test puts it before other operations, so that what is not ordered goes wrong.

extern "C" __global__ void spin(long long rounds, double* sink) {
    if (blockIdx.x || threadIdx.x) return;
    double x = 1.0;
    for (long long i = 0; i < rounds; ++i) x = x * 0.9999999 + 1e-9;  // each step needs the one before
    *sink = x;
}
