/* CIFAR-100, binary version: 50,000 + 10,000 images; the label is the fine one of 100. */
#include "data/data_internal.h"

static const tq_cifar_format format = {
    .folder = "cifar-100-binary",
    .names = "fine_label_names.txt",
    .n_label_bytes = 2,
    .n_classes = 100,
    .n_train = 1,
    .n_test = 1,
    .train = { "train.bin" },
    .test = { "test.bin" },
};

static tq_status open_cifar100(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    return tq_cifar_open(&format, argument, partition, dataset);
}

const tq_dataset_driver tq_dataset_cifar100 = {
    .entry = { .name = "cifar100",
               .brief = "CIFAR-100, the folder of its binary files",
               .source = "www.cs.toronto.edu/~kriz/cifar.html" },
    .open = open_cifar100,
    .read = tq_cifar_read,
    .close = tq_cifar_close,
};
