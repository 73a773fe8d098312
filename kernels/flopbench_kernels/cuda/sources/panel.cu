// One panel of the LU, column by column: the search for a pivot, its row, and the elimination. All indices are 64 bits wide.
//
// The panel w is column-major: its top `width` rows are the top block, which every rank of the process column has; rows from `width` on are
// this rank's rows below. A pivot candidate is two numbers, its magnitude and its row in w; candidates lie in `found` (2 x parts): parts
// magnitudes, then parts rows, row -1 where there is none. Of equal magnitudes the upper row wins, as in LAPACK; NaN counts as 0.
//
// message: [magnitude, global row, has the top block, unused, the candidate's row (width), row j of the top block (width)]
// mine:    [global row and row in w of this rank's candidate, whether a pivot was zero]

typedef long long i64;

// found[t] = the best of rows first + t, first + t + parts, ... of a column.
extern "C" __global__ void panel_search(const double* w, i64 ld, i64 column, i64 first, i64 last, double* found, i64 parts) {
    for (i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x; t < parts; t += (i64)gridDim.x * blockDim.x) {
        double best = -1.0, at = -1.0;
        for (i64 r = first + t; r < last; r += parts) {
            const double x = w[r + column * ld];
            const double size = x < 0.0 ? -x : (x >= 0.0 ? x : 0.0);
            if (size > best) { best = size; at = (double)r; }
        }
        found[t] = best;
        found[parts + t] = at;
    }
}

// out[t] = the best of found[t], found[t + fewer], ...
extern "C" __global__ void panel_narrow(const double* found, i64 parts, double* out, i64 fewer) {
    for (i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x; t < fewer; t += (i64)gridDim.x * blockDim.x) {
        double best = -1.0, at = -1.0;
        for (i64 i = t; i < parts; i += fewer) {
            const double size = found[i], row = found[parts + i];
            if (size > best || (size == best && row < at)) { best = size; at = row; }
        }
        out[t] = best;
        out[fewer + t] = at;
    }
}

// Puts this rank's candidate for pivot j, and row j of the top block if it is here, into the message. A thread for each column.
extern "C" __global__ void panel_pack(const double* w, i64 ld, i64 width, i64 j, i64 has_top, i64 row0, i64 nb, i64 my_row, i64 grid_rows,
                                      i64 below0, const double* found, i64 parts, double* message, double* mine) {
    for (i64 c = (i64)blockIdx.x * blockDim.x + threadIdx.x; c < width; c += (i64)gridDim.x * blockDim.x) {
        double best = -1.0, at = -1.0;
        for (i64 i = 0; i < parts; ++i) {
            const double size = found[i], row = found[parts + i];
            if (size > best || (size == best && row < at)) { best = size; at = row; }
        }
        const i64 candidate = (i64)at;
        message[4 + c] = candidate >= 0 ? w[candidate + c * ld] : 0.0;
        message[4 + width + c] = has_top ? w[j + c * ld] : 0.0;
        if (c == 0) {
            double row = 9007199254740992.0;
            if (candidate >= width) {
                const i64 local = below0 + candidate - width;
                row = (double)((local / nb * grid_rows + my_row) * nb + local % nb);
            } else if (candidate >= 0) {
                row = (double)(row0 + candidate);
            }
            message[0] = best;
            message[1] = row;
            message[2] = has_top ? 1.0 : 0.0;
            message[3] = 0.0;
            mine[0] = row;
            mine[1] = at;
            if (j == 0) mine[2] = 0.0;
        }
    }
}

// Row j of the top block becomes the pivot row; the row that was there goes to where the pivot was, if that is here.
extern "C" __global__ void panel_take(double* w, i64 ld, i64 width, i64 j, const double* message, const double* mine, double* pivots) {
    const i64 candidate = mine[0] == message[1] ? (i64)mine[1] : -1;
    for (i64 c = (i64)blockIdx.x * blockDim.x + threadIdx.x; c < width; c += (i64)gridDim.x * blockDim.x) {
        if (candidate >= 0 && candidate != j) w[candidate + c * ld] = message[4 + width + c];
        w[j + c * ld] = message[4 + c];
        if (c == 0) pivots[j] = message[1];
    }
}

// Rows first .. last-1 of column j become L; columns j+1 .. high-1 lose L times row j; found: candidates in column j + 1, if it is below high.
extern "C" __global__ void panel_eliminate(double* w, i64 ld, i64 j, i64 high, i64 first, i64 last, double* mine, double* found, i64 parts) {
    const double pivot = w[j + j * ld];
    const bool is_large = pivot >= 2.2250738585072014e-308 || pivot <= -2.2250738585072014e-308;
    const double factor = is_large ? 1.0 / pivot : 0.0;
    for (i64 t = (i64)blockIdx.x * blockDim.x + threadIdx.x; t < parts; t += (i64)gridDim.x * blockDim.x) {
        if (t == 0 && pivot == 0.0) mine[2] = 1.0;
        double best = -1.0, at = -1.0;
        for (i64 r = first + t; r < last; r += parts) {
            double l = w[r + j * ld];
            if (pivot != 0.0) l = is_large ? l * factor : l / pivot;
            w[r + j * ld] = l;
            for (i64 c = j + 1; c < high; ++c) w[r + c * ld] -= l * w[j + c * ld];
            if (j + 1 < high) {
                const double x = w[r + (j + 1) * ld];
                const double size = x < 0.0 ? -x : (x >= 0.0 ? x : 0.0);
                if (size > best) { best = size; at = (double)r; }
            }
        }
        found[t] = best;
        found[parts + t] = at;
    }
}
