#include "fixture.h"
#include "samples.h"

#define JPEG samples[0].bytes, samples[0].size

static tq_dataset *open_data(const char *spec, tq_partition partition)
{
    tq_dataset *data = NULL;
    CHECK_OK(tq_dataset_open(check_registry(), spec, partition, &data));
    return data;
}

static tq_status try_open(const char *spec, tq_partition partition)
{
    tq_dataset *data = NULL;
    const tq_status status = tq_dataset_open(check_registry(), spec, partition, &data);
    tq_dataset_close(data);
    return status;
}

static int64_t label_of(const tq_dataset *data, int64_t i)
{
    tq_sample sample;
    CHECK_OK(tq_dataset_read(data, i, &sample));
    CHECK(sample.data.data);
    tq_tensor_reset(&sample.data);
    return sample.label;
}

/** "0 1 1": the labels in order. */
static const char *labels_of(const char *spec, tq_partition partition)
{
    static char text[256];
    text[0] = 0;
    tq_dataset *data = open_data(spec, partition);
    for (int64_t i = 0; i < data->n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? " " : "",
                 (long long)label_of(data, i));
    tq_dataset_close(data);
    return text;
}

static fixture_tar tar;

TEST(the_label_is_the_rank_of_the_folder_in_byte_order)
{
    fixture_add(&tar, '0', "./x/dog/1.JPG", JPEG);
    fixture_add(&tar, '0', "x/cat/1.jpeg", JPEG);
    fixture_add(&tar, '0', "x/Zebra/1.jpg", JPEG);
    fixture_add(&tar, '0', "x/cat/notes.txt", "no image", 8);
    fixture_add(&tar, '0', "x/cat/._1.jpg", "no image", 8);
    fixture_add(&tar, '5', "x/empty/", "", 0);
    fixture_add(&tar, '0', "x/dog/2.png", samples[5].bytes, samples[5].size);
    fixture_tar_write(&tar, "a.tar");
    CHECK_STR(labels_of(fixture_spec("tar", "a.tar"), TQ_PARTITION_ALL), "2 1 0 2");
    tq_dataset *data = open_data(fixture_path("a.tar"), TQ_PARTITION_TRAIN);
    CHECK_EQ(data->n_classes, 3);
    CHECK_STR(data->class_names[0], "Zebra");
    tq_dataset_close(data);
}

TEST(partitions_are_folders_above_the_class)
{
    fixture_add(&tar, '0', "set/Training/train/1.jpg", JPEG);
    fixture_add(&tar, '0', "set/Training/bus/1.jpg", JPEG);
    fixture_add(&tar, '0', "set/val/train/1.jpg", JPEG);
    fixture_tar_write(&tar, "p.tar");
    const char *spec = fixture_spec("tar", "p.tar");
    CHECK_STR(labels_of(spec, TQ_PARTITION_ALL), "1 0 1");
    CHECK_STR(labels_of(spec, TQ_PARTITION_TRAIN), "1 0");
    CHECK_STR(labels_of(spec, TQ_PARTITION_VALID), "1"); /* the same class in every partition */
    CHECK_STR(labels_of(spec, TQ_PARTITION_TEST), "1");  /* validation stands for test */
}

TEST(a_missing_partition_is_an_error_unless_nobody_asked_for_it)
{
    fixture_add(&tar, '0', "val/bus/1.jpg", JPEG);
    fixture_tar_write(&tar, "v.tar");
    const char *spec = fixture_spec("tar", "v.tar");
    CHECK_FAILS(try_open(spec, TQ_PARTITION_TRAIN), TQ_ERR_NOT_FOUND,
                "there is no partition 'train', only 'valid'");
    tq_dataset *data;
    CHECK_OK(tq_dataset_open_preferred(check_registry(), spec, TQ_PARTITION_TRAIN, &data));
    CHECK_EQ(data->n, 1);
    tq_dataset_close(data);
}

TEST(classes_csv_beside_the_archive_gives_the_index)
{
    fixture_text("csv/classes.csv",
                 "\xef\xbb\xbfwnid,class_index,name\r\nn01,4,\"a, \"\"b\"\"\"\r\nn02,0,c\r\n");
    fixture_add(&tar, '0', "n01/1.jpg", JPEG);
    fixture_add(&tar, '0', "n02/1.jpg", JPEG);
    fixture_tar_write(&tar, "csv/a.tar");
    CHECK_STR(labels_of(fixture_spec("tar", "csv/a.tar"), TQ_PARTITION_ALL), "4 0");
    tq_dataset *data = open_data(fixture_spec("tar", "csv/a.tar"), TQ_PARTITION_ALL);
    CHECK_EQ(data->n_classes, 5);
    CHECK_STR(data->class_names[4], "a, \"b\"");
    CHECK(!data->class_names[1]);
    tq_dataset_close(data);
}

TEST(a_broken_classes_csv_is_named)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "no column 'class_index'" },
        { "folder,index\nn01,0\n", "no column 'class_index'" },
        { "folder,class_index\nn01,x\n", "line 2: class_index is 'x'" },
        { "folder,class_index\nn01,-1\n", "line 2: class_index is '-1'" },
        { "folder,class_index\nn01,9999999999999999999\n", "line 2: class_index" },
        { "folder,class_index\nn01\n", "line 2: 1 fields" },
        { "folder,class_index\nn01,1\nn01,2\n", "folder 'n01' is listed twice" },
        { "folder,class_index\nn02,1\n", "has no row for folder 'n01' of 'n01/1.jpg'" },
    };
    for (int i = 0; i < TQ_COUNT(cases); i++) {
        fixture_add(&tar, '0', "n01/1.jpg", JPEG);
        fixture_tar_write(&tar, "bad/a.tar");
        fixture_text("bad/classes.csv", cases[i].text);
        CHECK_FAILS(try_open(fixture_spec("tar", "bad/a.tar"), TQ_PARTITION_ALL), TQ_ERR_FORMAT,
                    cases[i].says);
    }
}

TEST(long_names_of_gnu_and_pax_are_read)
{
    static const char gnu[] =
        "folder/folder/folder/folder/folder/folder/folder/folder/folder/folder/folder/folder/"
        "folder/folder/folder/b/1.jpg";
    static const char pax[] = "19 path=a/pax1.jpg\n30 mtime=1350244992.023960108\n";
    fixture_add(&tar, 'L', "././@LongLink", gnu, sizeof gnu);
    fixture_add(&tar, '0', "short", JPEG);
    fixture_add(&tar, 'x', "PaxHeaders/x", pax, sizeof pax - 1);
    fixture_add(&tar, '0', "short", JPEG);
    fixture_add(&tar, '0', "c/1.jpg", JPEG);
    fixture_tar_write(&tar, "long.tar");
    CHECK_STR(labels_of(fixture_spec("tar", "long.tar"), TQ_PARTITION_ALL), "1 0 2");
}

TEST(a_range_of_shards_is_one_dataset)
{
    static const char *const names[] = { "s/x-08.tar", "s/x-09.tar", "s/x-10.tar" };
    static const char *const members[] = { "c/1.jpg", "b/1.jpg", "a/1.jpg" };
    for (int i = 0; i < 3; i++) {
        fixture_add(&tar, '0', members[i], JPEG);
        fixture_tar_write(&tar, names[i]);
    }
    CHECK_STR(labels_of(fixture_spec("tar", "s/x-{08..10}.tar"), TQ_PARTITION_ALL), "2 1 0");
    CHECK_FAILS(try_open(fixture_spec("tar", "s/x-{08..11}.tar"), TQ_PARTITION_ALL), TQ_ERR_IO,
                "x-11.tar");
    CHECK_FAILS(try_open(fixture_spec("tar", "s/x-{10..08}.tar"), TQ_PARTITION_ALL), TQ_ERR_VALUE,
                "range");
    CHECK_FAILS(try_open(fixture_spec("tar", "s/x-{0..99999999}.tar"), TQ_PARTITION_ALL),
                TQ_ERR_VALUE, "range");
}

TEST(a_folder_of_archives_is_divided_by_their_names)
{
    fixture_add(&tar, '0', "a/1.jpg", JPEG);
    fixture_add(&tar, '0', "b/1.jpg", JPEG);
    fixture_tar_write(&tar, "d/cifar_train.tar");
    fixture_add(&tar, '0', "b/1.jpg", JPEG);
    fixture_tar_write(&tar, "d/cifar_test.tar");
    CHECK_STR(labels_of(fixture_spec("tar", "d"), TQ_PARTITION_TRAIN), "0 1");
    CHECK_STR(labels_of(fixture_spec("tar", "d"), TQ_PARTITION_VALID), "0");
    CHECK_STR(labels_of(fixture_spec("tar", "d"), TQ_PARTITION_ALL), "1 0 1");
}

TEST(a_truncated_archive_is_a_clean_error)
{
    fixture_add(&tar, '0', "cat/1.jpg", JPEG);
    fixture_add(&tar, '0', "cat/2.jpg", JPEG);
    static fixture_tar whole;
    whole = tar;
    tar = (fixture_tar){ 0 };
    for (size_t n = 0; n <= whole.size; n += 101) {
        fixture_write("cut.tar", whole.bytes, n);
        const tq_status status = try_open(fixture_spec("tar", "cut.tar"), TQ_PARTITION_ALL);
        CHECK(status);
        CHECK(strstr(tq_status_text(status), "cut.tar"));
        tq_status_drop(status);
    }
    fixture_write("cut.tar", whole.bytes, 1024 + 512 + 100);
    CHECK_FAILS(try_open(fixture_spec("tar", "cut.tar"), TQ_PARTITION_ALL), TQ_ERR_FORMAT,
                "truncated: member 'cat/2.jpg' needs 428 bytes, 100 are left");
}

TEST(what_is_no_archive_is_named)
{
    static char bytes[1024] = "\x1f\x8b";
    fixture_write("x.tar", bytes, sizeof bytes);
    CHECK_FAILS(try_open(fixture_spec("tar", "x.tar"), TQ_PARTITION_ALL), TQ_ERR_FORMAT,
                "compressed by gzip");
    memset(bytes, 'x', sizeof bytes);
    fixture_write("x.tar", bytes, sizeof bytes);
    CHECK_FAILS(try_open(fixture_spec("tar", "x.tar"), TQ_PARTITION_ALL), TQ_ERR_FORMAT,
                "no tar header at offset 0");
    fixture_tar_write(&tar, "x.tar");
    CHECK_FAILS(try_open(fixture_spec("tar", "x.tar"), TQ_PARTITION_ALL), TQ_ERR_FORMAT,
                "no images");
    CHECK_FAILS(try_open(fixture_spec("tar", "none.tar"), TQ_PARTITION_ALL), TQ_ERR_IO, "none.tar");
    CHECK_FAILS(try_open("tra:x.tar", TQ_PARTITION_ALL), TQ_ERR_NOT_FOUND, "tra");
    CHECK_FAILS(try_open("no-such-file", TQ_PARTITION_ALL), TQ_ERR_VALUE, "write KIND:PATH");
}

TEST(a_corrupt_image_is_named_with_its_archive)
{
    fixture_add(&tar, '0', "cat/0001.jpg", samples[0].bytes, 200);
    fixture_add(&tar, '0', "cat/0002.jpg", "GIF89a", 6);
    fixture_tar_write(&tar, "train.tar");
    tq_dataset *data = open_data(fixture_spec("tar", "train.tar"), TQ_PARTITION_ALL);
    tq_sample sample;
    CHECK_FAILS(tq_dataset_read(data, 0, &sample), TQ_ERR_FORMAT,
                "train.tar', member 'cat/0001.jpg': broken JPEG file: premature end of JPEG file");
    CHECK_FAILS(tq_dataset_read(data, 1, &sample), TQ_ERR_FORMAT,
                "member 'cat/0002.jpg': not a JPEG or PNG file");
    CHECK_FAILS(tq_dataset_read(data, 2, &sample), TQ_ERR_VALUE, "no data point 2");
    tq_dataset_close(data);
}

TEST(folders_of_images_come_in_order_of_their_paths)
{
    fixture_write("f/train/a-b/1.png", JPEG);
    fixture_write("f/train/a/2.jpg", JPEG);
    fixture_write("f/train/a/1.jpg", JPEG);
    fixture_write("f/train/.hidden/1.jpg", JPEG);
    fixture_write("f/Validation/c/1.jpg", JPEG);
    CHECK_STR(labels_of(fixture_spec("imagefolder", "f"), TQ_PARTITION_TRAIN), "0 0 1");
    CHECK_STR(labels_of(fixture_spec("imagefolder", "f/"), TQ_PARTITION_VALID), "2");
    CHECK_STR(labels_of(fixture_path("f/train"), TQ_PARTITION_TRAIN), "0 0 1");
    CHECK_FAILS(try_open(fixture_spec("imagefolder", "none"), TQ_PARTITION_ALL), TQ_ERR_IO,
                "is not a folder");
}

TEST(classes_csv_works_beside_and_inside_a_folder)
{
    fixture_write("g/val/n1/1.jpg", JPEG);
    fixture_text("g/classes.csv", "folder,class_index\nn1,7\n");
    CHECK_STR(labels_of(fixture_spec("imagefolder", "g"), TQ_PARTITION_VALID), "7");
    CHECK_STR(labels_of(fixture_spec("imagefolder", "g/val"), TQ_PARTITION_VALID), "7");
}

TEST(a_link_that_leads_back_ends_in_an_error)
{
    fixture_write("loop/a/1.jpg", JPEG);
    CHECK_EQ(symlink("..", fixture_path("loop/a/up")), 0);
    CHECK_FAILS(try_open(fixture_spec("imagefolder", "loop"), TQ_PARTITION_ALL), TQ_ERR_VALUE,
                "link lead back");
}

TEST(partitions_are_read_in_the_spellings_of_users)
{
    tq_partition p;
    static const char *const words[] = { "train", "TRAINING", "valid",   "Validation",
                                         "val",   "test",     "testing", "all" };
    static const tq_partition wanted[] = { TQ_PARTITION_TRAIN, TQ_PARTITION_TRAIN,
                                           TQ_PARTITION_VALID, TQ_PARTITION_VALID,
                                           TQ_PARTITION_VALID, TQ_PARTITION_TEST,
                                           TQ_PARTITION_TEST,  TQ_PARTITION_ALL };
    for (int i = 0; i < TQ_COUNT(words); i++) {
        CHECK_OK(tq_partition_parse(words[i], &p));
        CHECK_EQ(p, wanted[i], "%s", words[i]);
    }
    CHECK_FAILS(tq_partition_parse("dev", &p), TQ_ERR_VALUE, "unknown partition 'dev'");
}

TEST(cifar_planes_become_pixels)
{
    static unsigned char records[2 * 3073];
    for (int i = 0; i < TQ_COUNT(records); i++)
        records[i] = (unsigned char)(i % 251);
    records[0] = 3;
    records[3073] = 11;
    for (int i = 1; i <= 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "c/cifar-10-batches-bin/data_batch_%d.bin", i);
        fixture_write(name, records, sizeof records);
    }
    fixture_write("c/cifar-10-batches-bin/test_batch.bin", records, sizeof records);
    tq_dataset *data = open_data(fixture_spec("cifar10", "c"), TQ_PARTITION_TRAIN);
    CHECK_EQ(data->n, 10);
    tq_sample sample;
    CHECK_OK(tq_dataset_read(data, 2, &sample));
    CHECK_EQ(sample.label, 3);
    CHECK_STR(tq_type_text(&sample.data.type).s, "u8[32,32,3]");
    const uint8_t *pixel = (const uint8_t *)sample.data.data + 5 * 3;
    for (int c = 0; c < 3; c++)
        CHECK_EQ(pixel[c], records[1 + c * 1024 + 5]);
    tq_tensor_reset(&sample.data);
    CHECK_FAILS(tq_dataset_read(data, 3, &sample), TQ_ERR_FORMAT,
                "record 1: label 11, expected 0 .. 9");
    tq_dataset_close(data);
    data = open_data(fixture_spec("cifar10", "c/cifar-10-batches-bin"), TQ_PARTITION_VALID);
    CHECK_EQ(data->n, 2);
    tq_dataset_close(data);
    fixture_write("c/cifar-10-batches-bin/test_batch.bin", records, 3000);
    CHECK_FAILS(try_open(fixture_spec("cifar10", "c"), TQ_PARTITION_TEST), TQ_ERR_FORMAT,
                "multiple of 3073");
    CHECK_FAILS(try_open(fixture_spec("cifar100", "c"), TQ_PARTITION_TEST), TQ_ERR_IO, "test.bin");
}

TEST(cifar100_takes_the_fine_label)
{
    static unsigned char record[3074] = { 5, 99 };
    fixture_write("c100/test.bin", record, sizeof record);
    CHECK_STR(labels_of(fixture_spec("cifar100", "c100"), TQ_PARTITION_TEST), "99");
}

TEST(idx_files_are_read)
{
    static const unsigned char images[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0,
                                            1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6 };
    static const unsigned char labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 7, 9 };
    fixture_write("i", images, sizeof images);
    fixture_write("l", labels, sizeof labels);
    char spec[1100];
    snprintf(spec, sizeof spec, "idx:%s,%s", fixture_path("i"), fixture_path("l"));
    CHECK_STR(labels_of(spec, TQ_PARTITION_TRAIN), "7 9");
    tq_dataset *data = open_data(spec, TQ_PARTITION_ALL);
    tq_sample sample;
    CHECK_OK(tq_dataset_read(data, 1, &sample));
    CHECK_STR(tq_type_text(&sample.data.type).s, "u8[1,3,1]");
    CHECK_EQ(((uint8_t *)sample.data.data)[2], 6);
    tq_tensor_reset(&sample.data);
    CHECK_EQ(data->n_classes, 10);
    tq_dataset_close(data);
    fixture_write("l", labels, sizeof labels - 1);
    CHECK_FAILS(try_open(spec, TQ_PARTITION_ALL), TQ_ERR_FORMAT, "its header claims");
    fixture_write("i", images, sizeof images - 1);
    CHECK_FAILS(try_open(spec, TQ_PARTITION_ALL), TQ_ERR_FORMAT, "its header claims");
    static const unsigned char huge[] = { 0,   0,   8,   3,   255, 255, 255, 255,
                                          255, 255, 255, 255, 255, 255, 255, 255 };
    fixture_write("i", huge, sizeof huge);
    CHECK_FAILS(try_open(spec, TQ_PARTITION_ALL), TQ_ERR_FORMAT, "truncated");
    fixture_write("i", "\x1f\x8b..", 4);
    CHECK_FAILS(try_open(spec, TQ_PARTITION_ALL), TQ_ERR_FORMAT, "gzip");
}

/** An .npz with inputs f32 [3, 2], labels of a dtype, and a target. */
static void write_npz(int64_t n_labels, tq_dtype dtype)
{
    tq_tensor x[3] = { check_random_f32(2, (int64_t[]){ 3, 2 }, 1, 0, 1),
                       { 0 },
                       check_random_f32(3, (int64_t[]){ 3, 1, 4 }, 2, 0, 1) };
    const tq_type type = tq_type_make(dtype, 1, &n_labels);
    CHECK_OK(tq_tensor_init(&x[1], &type));
    for (int64_t i = 0; i < n_labels; i++)
        tq_store_i64(x[1].data, dtype, i, i * 2);
    CHECK_OK(tq_npz_save(fixture_path("d.npz"), 3, (const char *[]){ "inputs", "labels", "y" }, x));
    for (int i = 0; i < 3; i++)
        tq_tensor_reset(&x[i]);
}

TEST(npz_rows_are_data_points_and_other_arrays_targets)
{
    write_npz(3, TQ_I16);
    CHECK_STR(labels_of(fixture_spec("npz", "d.npz"), TQ_PARTITION_TRAIN), "0 2 4");
    tq_dataset *data = open_data(fixture_path("d.npz"), TQ_PARTITION_ALL);
    CHECK_EQ(data->n_classes, 5);
    tq_sample sample;
    CHECK_OK(tq_dataset_read(data, 2, &sample));
    CHECK(!sample.is_image);
    CHECK_STR(tq_type_text(&sample.data.type).s, "f32[2]");
    tq_tensor_reset(&sample.data);
    const tq_tensor *y;
    CHECK_OK(tq_dataset_array(data, "y", &y));
    CHECK_STR(tq_type_text(&y->type).s, "f32[3,1,4]");
    CHECK_FAILS(tq_dataset_array(data, "z", &y), TQ_ERR_NOT_FOUND, "has no array 'z'");
    tq_dataset_close(data);
    write_npz(2, TQ_I64);
    CHECK_FAILS(try_open(fixture_spec("npz", "d.npz"), TQ_PARTITION_ALL), TQ_ERR_SHAPE,
                "expected 3 integers");
    write_npz(3, TQ_F32);
    CHECK_FAILS(try_open(fixture_spec("npz", "d.npz"), TQ_PARTITION_ALL), TQ_ERR_SHAPE,
                "'labels' are f32[3]");
}

TEST(the_embedded_digits_are_those_of_scikit_learn)
{
    static const int64_t n[] = { 1797, 1437, 360, 360 };
    uint32_t crc = 0;
    for (int p = TQ_PARTITION_ALL; p <= TQ_PARTITION_TEST; p++) {
        tq_dataset *data = open_data("digits", (tq_partition)p);
        CHECK_EQ(data->n, n[p]);
        CHECK_EQ(data->n_classes, 10);
        for (int64_t i = 0; i < data->n && p == TQ_PARTITION_ALL; i++) {
            tq_sample sample;
            CHECK_OK(tq_dataset_read(data, i, &sample));
            const uint8_t label = (uint8_t)sample.label;
            crc = tq_crc32(crc, &label, 1);
            crc = tq_crc32(crc, sample.data.data, 64);
            tq_tensor_reset(&sample.data);
        }
        tq_dataset_close(data);
    }
    CHECK_EQ(crc, 0x16bb1288);
    CHECK_FAILS(try_open("digits:x", TQ_PARTITION_ALL), TQ_ERR_VALUE, "built in");
}

TEST(real_archives_have_their_labels)
{
    char spec[1100];
    const char *path = check_shared("imagenet1k-sample/val.tar");
    if (!path)
        return;
    snprintf(spec, sizeof spec, "tar:%s", path);
    tq_dataset *data = open_data(spec, TQ_PARTITION_TEST);
    CHECK_EQ(data->n, 500);
    for (int64_t i = 0; i < 500; i += 83)
        CHECK_EQ(label_of(data, i), 2 * i);
    CHECK_STR(data->class_names[2], "great_white_shark");
    tq_dataset_close(data);
    snprintf(spec, sizeof spec, "tar:%s", check_shared("cifar10/test.tar"));
    data = open_data(spec, TQ_PARTITION_TEST);
    CHECK_EQ(data->n, 10000);
    CHECK_EQ(data->n_classes, 10);
    CHECK_EQ(label_of(data, 9999), 9);
    tq_dataset_close(data);
}
