/* CIFAR-10, binary version: 50,000 + 10,000 images, 10 classes. There is no validation part: its
 * test part stands for it. */
#include "data/data_internal.h"

static const tq_cifar_format format = {
    .folder = "cifar-10-batches-bin",
    .names = "batches.meta.txt",
    .n_label_bytes = 1,
    .n_classes = 10,
    .n_train = 5,
    .n_test = 1,
    .train = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
               "data_batch_5.bin" },
    .test = { "test_batch.bin" },
};

static tq_status open_cifar10(const char *argument, tq_partition partition, tq_dataset *dataset)
{
    return tq_cifar_open(&format, argument, partition, dataset);
}

const tq_dataset_driver tq_dataset_cifar10 = {
    .entry = { .name = "cifar10",
               .brief = "CIFAR-10, the folder of its binary files",
               .source = "www.cs.toronto.edu/~kriz/cifar.html" },
    .open = open_cifar10,
    .read = tq_cifar_read,
    .close = tq_cifar_close,
};
