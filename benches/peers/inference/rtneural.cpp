// The networks of the comparison in RTNeural's compile-time interface, behind three C functions.
#include <RTNeural/RTNeural.h>

#include <cstring>
#include <string>
#include <vector>

namespace
{
using Matrix = std::vector<std::vector<float>>;

struct Network
{
    virtual ~Network() = default;
    virtual void step(const float* inputs, float* outputs) = 0;
};

// Takes tensors one after the other, as the caller has strung them together.
struct Source
{
    const float* at;

    std::vector<float> take(int count)
    {
        std::vector<float> values(at, at + count);
        at += count;
        return values;
    }

    Matrix matrix(int rows, int columns)
    {
        Matrix result;
        for(int row = 0; row < rows; ++row)
            result.push_back(take(columns));
        return result;
    }
};

// From PyTorch's reset, update, new to update, reset, new.
int swapped(int row, int hidden)
{
    return row < hidden ? row + hidden : row < 2 * hidden ? row - hidden : row;
}

template <typename Layer>
void set_gru(Layer& layer, Source& source, int inputs, int hidden)
{
    auto transposed = [hidden](const Matrix& matrix, int depth)
    {
        Matrix result(depth, std::vector<float>(3 * hidden));
        for(int row = 0; row < 3 * hidden; ++row)
            for(int column = 0; column < depth; ++column)
                result[column][swapped(row, hidden)] = matrix[row][column];
        return result;
    };
    layer.setWVals(transposed(source.matrix(3 * hidden, inputs), inputs));
    layer.setUVals(transposed(source.matrix(3 * hidden, hidden), hidden));
    Matrix biases(2, std::vector<float>(3 * hidden));
    for(auto& bias : biases)
    {
        const auto values = source.take(3 * hidden);
        for(int row = 0; row < 3 * hidden; ++row)
            bias[swapped(row, hidden)] = values[row];
    }
    layer.setBVals(biases);
}

template <typename Layer>
void set_dense(Layer& layer, Source& source, int inputs, int outputs)
{
    layer.setWeights(source.matrix(outputs, inputs));
    layer.setBias(source.take(outputs).data());
}

template <typename Model>
struct Any : Network
{
    Model model;
    alignas(64) float inputs[64] = {};

    void step(const float* given, float* outputs) override
    {
        std::memcpy(inputs, given, Model::input_size * sizeof(float));
        model.forward(inputs);
        std::memcpy(outputs, model.getOutputs(), Model::output_size * sizeof(float));
    }
};

template <int H>
Network* one_layer(Source source)
{
    using namespace RTNeural;
    auto* network = new Any<ModelT<float, 3, 1, GRULayerT<float, 3, H>, DenseT<float, H, 1>>>;
    set_gru(network->model.template get<0>(), source, 3, H);
    set_dense(network->model.template get<1>(), source, H, 1);
    network->model.reset();
    return network;
}

template <int H>
Network* two_layers(Source source)
{
    using namespace RTNeural;
    auto* network = new Any<ModelT<float, 3, 1, GRULayerT<float, 3, H>, GRULayerT<float, H, H>, DenseT<float, H, 1>>>;
    set_gru(network->model.template get<0>(), source, 3, H);
    set_gru(network->model.template get<1>(), source, H, H);
    set_dense(network->model.template get<2>(), source, H, 1);
    network->model.reset();
    return network;
}

Network* mlp(Source source)
{
    using namespace RTNeural;
    auto* network = new Any<ModelT<float, 48, 12, DenseT<float, 48, 512>, ELuActivationT<float, 512>,
        DenseT<float, 512, 256>, ELuActivationT<float, 256>, DenseT<float, 256, 128>, ELuActivationT<float, 128>,
        DenseT<float, 128, 12>>>;
    set_dense(network->model.template get<0>(), source, 48, 512);
    set_dense(network->model.template get<2>(), source, 512, 256);
    set_dense(network->model.template get<4>(), source, 256, 128);
    set_dense(network->model.template get<6>(), source, 128, 12);
    network->model.reset();
    return network;
}
}

// All tensors one after the other; null for a network that is not here.
extern "C" void* peer_make(const char* name, const float* tensors)
{
    const std::string which = name;
    const Source source { tensors };
    if(which == "gru-1x128")
        return one_layer<128>(source);
    if(which == "gru-2x128")
        return two_layers<128>(source);
    if(which == "gru-1x256")
        return one_layer<256>(source);
    if(which == "gru-2x256")
        return two_layers<256>(source);
    if(which == "mlp")
        return mlp(source);
    return nullptr;
}

extern "C" void peer_step(void* network, const float* inputs, float* outputs)
{
    static_cast<Network*>(network)->step(inputs, outputs);
}

extern "C" void peer_free(void* network)
{
    delete static_cast<Network*>(network);
}
