/* The C functions that exported models are made of. A model's file holds those that it needs, in this order:
   a definition is what stands between two blank lines, and needs those whose names occur in it. What is not
   here, such as `memory`, `LARGEST_KERNEL` and the tables, is written for the model. */

/* One direction of an image, rows or columns, as a window passes over it: output n sees the input from
   n * stride - padding on, and every dilation-th place after that. */
struct axis {
    int size, out_size, kernel, stride, padding, dilation;
};

/* The outputs whose window has one of its places within the input: `count` of them from output `first` on,
   which see the inputs from `from` on. */
struct span {
    int first, count, from;
};

/* How far the weights of a layer have been read. */
struct reader {
    const struct convolution *layer;
    const unsigned char *places;
    int place; /* the next one that may have a weight */
    int bit;   /* of the mask */
    int weight;
};

/* The weights of a layer, and where it stands. Weights that are not zero are kept, one output channel after
   the other; a place is a number from 0 up to `row`, through the input channels, rows and columns of the kernel. */
struct convolution {
    int (*next_place)(struct reader *);
    float (*next_weight)(struct reader *);
    const unsigned char *places;
    const void *weights;
    const float *scales, *biases; /* of each card, of each output channel */
    int row, inputs, outputs, groups;
    struct axis rows, columns;
};

struct pool {
    int channels, counts_padding;
    struct axis rows, columns;
};

/* The next place of an output channel, or the end of the row, where every place has a weight. */
static int next_of_all(struct reader *reader)
{
    return reader->place < reader->layer->row ? reader->place++ : reader->place;
}

/* The same where a mask has a bit for each place. */
static int next_of_mask(struct reader *reader)
{
    while (reader->place < reader->layer->row) {
        const int bit = reader->bit++;
        reader->place++;
        if ((reader->places[bit / 8] >> (bit % 8)) & 1)
            return reader->place - 1;
    }
    return reader->place;
}

/* The same where bytes say how many places are passed over; 255 passes over so many and goes on. */
static int next_by_gaps(struct reader *reader)
{
    for (; *reader->places == 255; reader->places++)
        reader->place += 255;
    reader->place += *reader->places++;
    return reader->place++;
}

static float next_float(struct reader *reader)
{
    const float *weights = reader->layer->weights;
    return weights[reader->weight++];
}

/* Half precision: its exponent is moved to that of a float by a product, which holds for the smallest, too. */
static float next_half(struct reader *reader)
{
    const unsigned short *weights = reader->layer->weights;
    const unsigned half = weights[reader->weight++];
    union {
        unsigned bits;
        float value;
    } number;
    number.bits = (half & 0x7fff) << 13;
    number.value *= 0x1p112f;
    number.bits |= (half & 0x8000) << 16;
    return number.value;
}

static float next_byte(struct reader *reader)
{
    const signed char *weights = reader->layer->weights;
    return weights[reader->weight++];
}

/* Two levels in a byte, the first in its lower half. */
static float next_nibble(struct reader *reader)
{
    const unsigned char *weights = reader->layer->weights;
    const int weight = reader->weight++;
    return (float)(((weights[weight / 2] >> (4 * (weight % 2))) & 15) - 8);
}

/* +1 or -1: the scale of the channel is the magnitude. */
static float next_sign(struct reader *reader)
{
    const unsigned char *weights = reader->layer->weights;
    const int weight = reader->weight++;
    return (weights[weight / 8] >> (weight % 8)) & 1 ? 1.0f : -1.0f;
}

static void find_spans(struct span *spans, const struct axis *axis)
{
    int tap;
    for (tap = 0; tap < axis->kernel; tap++) {
        const int shift = tap * axis->dilation - axis->padding;
        int first = 0, last = axis->out_size;
        while (first < last && first * axis->stride + shift < 0)
            first++;
        while (first < last && (last - 1) * axis->stride + shift >= axis->size)
            last--;
        spans[tap].first = first;
        spans[tap].count = last - first;
        spans[tap].from = first * axis->stride + shift;
    }
}

/* Adds what one weight makes of one channel of the input. */
static void add_weighted(float *restrict sums, const float *restrict plane, float weight,
                         const struct convolution *layer, const struct span *row, const struct span *column)
{
    const int width = layer->columns.size, stride = layer->columns.stride;
    int y, x;
    for (y = 0; y < row->count; y++) {
        float *restrict to = sums + (row->first + y) * layer->columns.out_size + column->first;
        const float *restrict from = plane + (row->from + y * layer->rows.stride) * width + column->from;
        if (stride == 1)
            for (x = 0; x < column->count; x++)
                to[x] += weight * from[x];
        else
            for (x = 0; x < column->count; x++)
                to[x] += weight * from[x * stride];
    }
}

/* output = scale * sum + bias, and + addend where there is one, which may lie where the output does. */
static void convolve(const struct convolution *layer, const float *input, float *output, const float *addend,
                     int card)
{
    static float sums[LARGEST_PLANE];
    struct span rows[LARGEST_KERNEL], columns[LARGEST_KERNEL];
    const int width = layer->columns.kernel, taps = layer->rows.kernel * width;
    const int plane = layer->rows.size * layer->columns.size;
    const int out_plane = layer->rows.out_size * layer->columns.out_size;
    const int group_inputs = layer->inputs / layer->groups, group_outputs = layer->outputs / layer->groups;
    struct reader reader = {0};
    int channel, i;
    reader.layer = layer;
    reader.places = layer->places;
    find_spans(rows, &layer->rows);
    find_spans(columns, &layer->columns);
    for (channel = 0; channel < layer->outputs; channel++) {
        const float *group = input + channel / group_outputs * group_inputs * plane;
        const float scale = layer->scales[card * layer->outputs + channel];
        const float bias = layer->biases[card * layer->outputs + channel];
        const int start = channel * out_plane;
        int place;
        for (i = 0; i < out_plane; i++)
            sums[i] = 0;
        reader.place = 0;
        while ((place = layer->next_place(&reader)) < layer->row) {
            const int tap = place % taps;
            add_weighted(sums, group + place / taps * plane, layer->next_weight(&reader), layer,
                         &rows[tap / width], &columns[tap % width]);
        }
        for (i = 0; i < out_plane; i++)
            output[start + i] = scale * sums[i] + bias + (addend ? addend[start + i] : 0);
    }
}

static void scale_channels(const float *scales, const float *biases, const float *input, float *output,
                           int channels, int plane)
{
    int channel, i;
    for (channel = 0; channel < channels; channel++)
        for (i = channel * plane; i < (channel + 1) * plane; i++)
            output[i] = scales[channel] * input[i] + biases[channel];
}

/* Normalises each pixel over its channels, and then each channel by its scale and bias. */
static void normalise_pixels(const float *scales, const float *biases, float epsilon, const float *input,
                             float *output, int channels, int plane)
{
    int channel, i;
    for (i = 0; i < plane; i++) {
        float mean = 0, variance = 0;
        for (channel = 0; channel < channels; channel++)
            mean += input[channel * plane + i];
        mean /= channels;
        for (channel = 0; channel < channels; channel++) {
            const float difference = input[channel * plane + i] - mean;
            variance += difference * difference;
        }
        variance /= channels;
        for (channel = 0; channel < channels; channel++) {
            const float normalised = (input[channel * plane + i] - mean) / sqrtf(variance + epsilon);
            output[channel * plane + i] = scales[channel] * normalised + biases[channel];
        }
    }
}

/* The inputs that the window of output `number` sees: from the first that is returned up to `*end`. */
static int window(const struct axis *axis, int number, int *end)
{
    const int first = number * axis->stride - axis->padding;
    *end = first + axis->kernel < axis->size ? first + axis->kernel : axis->size;
    return first > 0 ? first : 0;
}

static void pool_maximum(const struct pool *pool, const float *input, float *output)
{
    int channel, y, x, bottom, right, row, column;
    for (channel = 0; channel < pool->channels; channel++) {
        for (y = 0; y < pool->rows.out_size; y++) {
            for (x = 0; x < pool->columns.out_size; x++) {
                const int top = window(&pool->rows, y, &bottom), left = window(&pool->columns, x, &right);
                float best = input[top * pool->columns.size + left];
                for (row = top; row < bottom; row++)
                    for (column = left; column < right; column++)
                        if (input[row * pool->columns.size + column] > best)
                            best = input[row * pool->columns.size + column];
                *output++ = best;
            }
        }
        input += pool->rows.size * pool->columns.size;
    }
}

static void pool_average(const struct pool *pool, const float *input, float *output)
{
    const int kernel = pool->rows.kernel * pool->columns.kernel;
    int channel, y, x, bottom, right, row, column;
    for (channel = 0; channel < pool->channels; channel++) {
        for (y = 0; y < pool->rows.out_size; y++) {
            for (x = 0; x < pool->columns.out_size; x++) {
                const int top = window(&pool->rows, y, &bottom), left = window(&pool->columns, x, &right);
                float sum = 0;
                for (row = top; row < bottom; row++)
                    for (column = left; column < right; column++)
                        sum += input[row * pool->columns.size + column];
                *output++ = sum / (pool->counts_padding ? kernel : (bottom - top) * (right - left));
            }
        }
        input += pool->rows.size * pool->columns.size;
    }
}

static void add(const float *left, const float *right, float *output, int count)
{
    int i;
    for (i = 0; i < count; i++)
        output[i] = left[i] + right[i];
}

static void multiply(const float *left, const float *right, float *output, int count)
{
    int i;
    for (i = 0; i < count; i++)
        output[i] = left[i] * right[i];
}

/* One number on the right for each channel on the left. */
static void add_to_channels(const float *left, const float *right, float *output, int channels, int plane)
{
    int channel, i;
    for (channel = 0; channel < channels; channel++)
        for (i = channel * plane; i < (channel + 1) * plane; i++)
            output[i] = left[i] + right[channel];
}

static void multiply_channels(const float *left, const float *right, float *output, int channels, int plane)
{
    int channel, i;
    for (channel = 0; channel < channels; channel++)
        for (i = channel * plane; i < (channel + 1) * plane; i++)
            output[i] = left[i] * right[channel];
}

static void copy(const float *input, float *output, int count)
{
    int i;
    for (i = 0; i < count; i++)
        output[i] = input[i];
}

static void take_channels(const unsigned short *indices, const float *input, float *output, int channels,
                          int plane)
{
    int channel, i;
    for (channel = 0; channel < channels; channel++)
        for (i = 0; i < plane; i++)
            *output++ = input[indices[channel] * plane + i];
}

static void relu(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = values[i] > 0 ? values[i] : 0;
}

static void clamp(float *values, int count, float low, float high)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = values[i] < low ? low : values[i] > high ? high : values[i];
}

static void leaky_relu(float *values, int count, float slope)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = values[i] > 0 ? values[i] : slope * values[i];
}

/* A line from 0 at -3 to 1 at 3. */
static float gate_of(float value)
{
    return value < -3 ? 0 : value > 3 ? 1 : (value + 3) / 6;
}

static void hardsigmoid(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = gate_of(values[i]);
}

static void hardswish(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] *= gate_of(values[i]);
}

static void sigmoid(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = 1 / (1 + expf(-values[i]));
}

static void silu(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] /= 1 + expf(-values[i]);
}

static void hyperbolic_tangent(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = tanhf(values[i]);
}

static void gelu(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] *= 0.5f * (1 + erff(values[i] * 0.70710678f));
}

static void gelu_tanh(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++) {
        const float value = values[i];
        values[i] *= 0.5f * (1 + tanhf(0.79788456f * (value + 0.044715f * value * value * value)));
    }
}

/* The image as three planes of numbers from 0 to 1. */
static void read_image(const unsigned char *rgb, float *planes, int plane)
{
    int channel, i;
    for (channel = 0; channel < 3; channel++)
        for (i = 0; i < plane; i++)
            planes[channel * plane + i] = rgb[3 * i + channel] / 255.0f;
}

/* Adds a third of the logarithms of the amplitudes of one colour's spectrum to `logs`, which has a row for each
   vertical frequency, 0 in the middle, and a column for each horizontal one from 0 up. `lines` has room for
   twice as many numbers. Waves hold cosines and then sines of one turn, one number for each row or column. */
static void add_spectrum(const unsigned char *rgb, float *lines, float *logs, int height, int width,
                         const float *row_waves, const float *column_waves)
{
    const int columns = width / 2 + 1;
    int y, x, frequency, vertical;
    for (y = 0; y < height; y++) {
        for (frequency = 0; frequency < columns; frequency++) {
            float real = 0, imaginary = 0;
            int phase = 0;
            for (x = 0; x < width; x++) {
                const float value = rgb[3 * (y * width + x)];
                real += value * column_waves[phase];
                imaginary -= value * column_waves[width + phase];
                phase = (phase + frequency) % width;
            }
            lines[2 * (y * columns + frequency)] = real / 255;
            lines[2 * (y * columns + frequency) + 1] = imaginary / 255;
        }
    }
    for (frequency = 0; frequency < columns; frequency++) {
        for (vertical = 0; vertical < height; vertical++) {
            const int row = (vertical + height / 2) % height;
            float real = 0, imaginary = 0;
            int phase = 0;
            for (y = 0; y < height; y++) {
                const float *line = lines + 2 * (y * columns + frequency);
                real += line[0] * row_waves[phase] + line[1] * row_waves[height + phase];
                imaginary += line[1] * row_waves[phase] - line[0] * row_waves[height + phase];
                phase = (phase + vertical) % height;
            }
            logs[row * columns + frequency] += logf(sqrtf(real * real + imaginary * imaginary) + 0.01f) / 3;
        }
    }
}

static void log_spectrum(const unsigned char *rgb, float *lines, float *logs, int height, int width,
                         const float *row_waves, const float *column_waves)
{
    int i;
    for (i = 0; i < height * (width / 2 + 1); i++)
        logs[i] = 0;
    for (i = 0; i < 3; i++)
        add_spectrum(rgb + i, lines, logs, height, width, row_waves, column_waves);
}

/* Averages over cells of a grid, which overlap where its sides do not divide those of the input. */
static void average_to_grid(const float *input, int height, int width, float *output, int rows, int columns)
{
    int row, column, y, x;
    for (row = 0; row < rows; row++) {
        for (column = 0; column < columns; column++) {
            const int top = row * height / rows, bottom = ((row + 1) * height + rows - 1) / rows;
            const int left = column * width / columns, right = ((column + 1) * width + columns - 1) / columns;
            float sum = 0;
            for (y = top; y < bottom; y++)
                for (x = left; x < right; x++)
                    sum += input[y * width + x];
            *output++ = sum / ((bottom - top) * (right - left));
        }
    }
}

/* The mean of each channel, and then the logarithm of each channel's deviation. */
static void channel_statistics(const float *input, float *output, int channels, int plane)
{
    int channel, i;
    for (channel = 0; channel < channels; channel++) {
        float mean = 0, variance = 0;
        for (i = channel * plane; i < (channel + 1) * plane; i++)
            mean += input[i];
        mean /= plane;
        for (i = channel * plane; i < (channel + 1) * plane; i++)
            variance += (input[i] - mean) * (input[i] - mean);
        output[channel] = mean;
        output[channels + channel] = logf(sqrtf(variance / plane) + 0.01f);
    }
}

/* How well each card suits what is seen of the image. */
static void score_cards(const float *slopes, const float *offsets, const float *seen, int count, float *scores)
{
    int card, i;
    for (card = 0; card < CARDS; card++) {
        scores[card] = offsets[card];
        for (i = 0; i < count; i++)
            scores[card] += slopes[card * count + i] * seen[i];
    }
}

static void softmax(float *values, int count)
{
    float largest = values[0], sum = 0;
    int i;
    for (i = 1; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    for (i = 0; i < count; i++)
        sum += values[i] = expf(values[i] - largest);
    for (i = 0; i < count; i++)
        values[i] /= sum;
}

/* The weight of every card where none stands out. */
static void weigh_equally(float *weights)
{
    int card;
    for (card = 0; card < CARDS; card++)
        weights[card] = 1.0f / CARDS;
}

/* Plays only the `most` cards of the best scores among those that are played; weights sum to 1 again. */
static void play_at_most(int most, const float *scores, float *weights)
{
    float sum = 0;
    int card, other;
    unsigned char kept[CARDS];
    for (card = 0; card < CARDS; card++) {
        int better = 0;
        for (other = 0; other < CARDS; other++)
            better += weights[other] > 0 &&
                      (scores[other] > scores[card] || (scores[other] == scores[card] && other < card));
        kept[card] = weights[card] > 0 && better < most;
    }
    for (card = 0; card < CARDS; card++)
        sum += kept[card] ? weights[card] : 0;
    for (card = 0; card < CARDS; card++)
        weights[card] = kept[card] ? weights[card] / sum : 0;
}

/* Plays the cards of the one domain whose mean score is best, in equal shares. Returns how sure that is: the
   largest share in the softmax of the domains' scores. */
static float play_best_domain(const unsigned char *domains, const float *scores, float *weights)
{
    float means[DOMAINS];
    int domain, card, best = 0, members = 0;
    for (domain = 0; domain < DOMAINS; domain++) {
        int count = 0;
        means[domain] = 0;
        for (card = 0; card < CARDS; card++) {
            means[domain] += domains[card] == domain ? scores[card] : 0;
            count += domains[card] == domain;
        }
        means[domain] /= count;
        if (domain == 0 || means[domain] > means[best]) {
            best = domain;
            members = count;
        }
    }
    for (card = 0; card < CARDS; card++)
        weights[card] = domains[card] == best ? 1.0f / members : 0;
    softmax(means, DOMAINS);
    return means[best];
}

/* Plays each card by the softmax of its score. Returns the largest share. */
static float play_all(float temperature, const float *scores, float *weights)
{
    float largest = 0;
    int card;
    for (card = 0; card < CARDS; card++)
        weights[card] = scores[card] / temperature;
    softmax(weights, CARDS);
    for (card = 0; card < CARDS; card++)
        largest = weights[card] > largest ? weights[card] : largest;
    return largest;
}

/* What earlier images of a stream were scored: a sum whose shares lack `missing` to 1. */
static struct {
    float scores[CARDS], missing;
} stream = {{0}, 1};

/* Makes of an image's scores the running mean of the stream's; `share` is that of the newest image. */
static void average_stream(float share, float *scores)
{
    int card;
    stream.missing *= 1 - share;
    for (card = 0; card < CARDS; card++) {
        stream.scores[card] += share * (scores[card] - stream.scores[card]);
        scores[card] = stream.scores[card] / (1 - stream.missing);
    }
}

static void forget_stream(void)
{
    int card;
    for (card = 0; card < CARDS; card++)
        stream.scores[card] = 0;
    stream.missing = 1;
}

/* Adds a card's probabilities by its weight. */
static void add_shares(float *logits, float temperature, float weight, float *probabilities, int classes)
{
    int i;
    for (i = 0; i < classes; i++)
        logits[i] /= temperature;
    softmax(logits, classes);
    for (i = 0; i < classes; i++)
        probabilities[i] += weight * logits[i];
}

/* Logarithms, finite also where a probability is too small for a float. */
static void take_logarithms(float *values, int count)
{
    int i;
    for (i = 0; i < count; i++)
        values[i] = logf(values[i] > 1.17549435e-38f ? values[i] : 1.17549435e-38f);
}

static int largest_of(const float *values, int count)
{
    int best = 0, i;
    for (i = 1; i < count; i++)
        best = values[i] > values[best] ? i : best;
    return best;
}
