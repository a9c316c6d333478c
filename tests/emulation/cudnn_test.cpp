// The cuDNN stand-in: softmax and convolution against their definitions, gradients against differences.
#include <cudnn.h>

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

const float kOne = 1, kZero = 0;

class Cudnn : public Machine {
 protected:
  Cudnn() {
    EXPECT_EQ(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetStream(handle, stream), CUDNN_STATUS_SUCCESS);
    for (cudnnTensorDescriptor_t* d : {&x_desc, &y_desc}) cudnnCreateTensorDescriptor(d);
    cudnnCreateFilterDescriptor(&w_desc);
    cudnnCreateConvolutionDescriptor(&conv);
  }
  ~Cudnn() override {
    for (cudnnTensorDescriptor_t d : {x_desc, y_desc}) cudnnDestroyTensorDescriptor(d);
    cudnnDestroyFilterDescriptor(w_desc);
    cudnnDestroyConvolutionDescriptor(conv);
    cudnnDestroy(handle);
  }
  static double dot(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
  }
  cudnnHandle_t handle = nullptr;
  cudnnTensorDescriptor_t x_desc = nullptr, y_desc = nullptr;
  cudnnFilterDescriptor_t w_desc = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
};

TEST_F(Cudnn, SoftmaxSumsToOneAndItsGradientToZero) {
  cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 5, 7, 1, 1);
  const auto host = normal(35, 11);
  const DeviceBuffer<float> x(host), y(std::size_t{35}), dy(normal(35, 12)), dx(std::size_t{35});
  EXPECT_EQ(cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &kOne, x_desc, x.data(),
                                &kZero, x_desc, y.data()),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudnnSoftmaxBackward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &kOne, x_desc, y.data(),
                                 x_desc, dy.data(), &kZero, x_desc, dx.data()),
            CUDNN_STATUS_SUCCESS);
  const auto probabilities = y.read(stream), gradient = dx.read(stream);
  for (std::size_t row = 0; row < 5; ++row) {
    double sum = 0, gradient_sum = 0, exps = 0;
    for (std::size_t i = 0; i < 7; ++i) {
      sum += static_cast<double>(probabilities[row * 7 + i]);
      gradient_sum += static_cast<double>(gradient[row * 7 + i]);
      exps += std::exp(static_cast<double>(host[row * 7 + i]));
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_NEAR(gradient_sum, 0, 1e-6);
    EXPECT_NEAR(probabilities[row * 7], std::exp(static_cast<double>(host[row * 7])) / exps, 1e-6);
  }
  expect_clean();
}

TEST_F(Cudnn, ConvolutionIsItsSumAndItsGradientsAreAdjoint) {
  // x [2, 4, 5, 6], two groups of two channels, w [6, 2, 3, 2], stride 2 x 1, padding 1 x 0
  cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 4, 5, 6);
  cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 6, 2, 3, 2);
  cudnnSetConvolution2dDescriptor(conv, 1, 0, 2, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
  cudnnSetConvolutionGroupCount(conv, 2);
  cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 6, 3, 5);
  const auto hx = normal(240, 1), hw = normal(72, 2), hdy = normal(180, 3);
  const DeviceBuffer<float> x(hx), w(hw), dy(hdy), y(std::size_t{180}), dx(std::size_t{240}), dw(std::size_t{72});
  EXPECT_EQ(cudnnConvolutionForward(handle, &kOne, x_desc, x.data(), w_desc, w.data(), conv,
                                    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &kZero, y_desc, y.data()),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudnnConvolutionBackwardData(handle, &kOne, w_desc, w.data(), y_desc, dy.data(), conv,
                                         CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, nullptr, 0, &kZero, x_desc, dx.data()),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudnnConvolutionBackwardFilter(handle, &kOne, x_desc, x.data(), y_desc, dy.data(), conv,
                                           CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, nullptr, 0, &kZero, w_desc, dw.data()),
            CUDNN_STATUS_SUCCESS);
  const auto hy = y.read(stream);
  double want = 0;  // y[1, 4, 0, 2]: group 1, rows -1..1, columns 2..3
  for (int c = 0; c < 2; ++c)
    for (int r = 1; r < 3; ++r)
      for (int s = 0; s < 2; ++s)
        want += static_cast<double>(hx[static_cast<std::size_t>(((4 + 2 + c) * 5 + r - 1) * 6 + 2 + s)]) *
                static_cast<double>(hw[static_cast<std::size_t>(((4 * 2 + c) * 3 + r) * 2 + s)]);
  EXPECT_NEAR(hy[((6 + 4) * 3 + 0) * 5 + 2], want, 1e-5);
  // <y, dy> = <x, dx> = <w, dw>: the three are one bilinear form
  EXPECT_NEAR(dot(hy, hdy), dot(hx, dx.read(stream)), 1e-3);
  EXPECT_NEAR(dot(hy, hdy), dot(hw, dw.read(stream)), 1e-3);
  expect_clean();
}

TEST_F(Cudnn, BadCallsAreRefusedWithAReason) {
  EXPECT_EQ(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 0, 7, 1, 1),
            CUDNN_STATUS_BAD_PARAM);
  cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 5, 7, 1, 1);
  cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 5, 6, 1, 1);
  const DeviceBuffer<float> x(normal(35, 1)), y(std::size_t{30});
  const auto softmax = [&](cudnnTensorDescriptor_t out) {
    return cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &kOne, x_desc, x.data(),
                               &kZero, out, y.data());
  };
  EXPECT_EQ(softmax(y_desc), CUDNN_STATUS_BAD_PARAM);  // shapes differ
  EXPECT_EQ(softmax(x_desc), CUDNN_STATUS_BAD_PARAM);  // y is too small
  cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 4, 3, 1, 1);
  cudnnSetConvolution2dDescriptor(conv, 0, 0, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
  EXPECT_EQ(cudnnConvolutionForward(handle, &kOne, x_desc, x.data(), w_desc, x.data(), conv,
                                    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0, &kZero, y_desc, y.data()),
            CUDNN_STATUS_BAD_PARAM);  // 7 channels, a filter of 3
  cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 6, 7, 1, 1);
  const DeviceBuffer<float> w(normal(42, 2));
  std::size_t bytes = 0;
  cudnnGetConvolutionForwardWorkspaceSize(handle, x_desc, w_desc, conv, y_desc, CUDNN_CONVOLUTION_FWD_ALGO_GEMM,
                                          &bytes);
  EXPECT_GT(bytes, 0u);
  EXPECT_EQ(cudnnConvolutionForward(handle, &kOne, x_desc, x.data(), w_desc, w.data(), conv,
                                    CUDNN_CONVOLUTION_FWD_ALGO_GEMM, nullptr, 0, &kZero, y_desc, y.data()),
            CUDNN_STATUS_BAD_PARAM);  // no workspace
  EXPECT_EQ(reports().size(), 5u);
}

}  // namespace
}  // namespace winnow::emulation_test
