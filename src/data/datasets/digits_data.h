/* The digits as text, 599 a file; datasets/digits.c reads it. */
#ifndef TRUQ_DATA_DIGITS_DATA_H
#define TRUQ_DATA_DIGITS_DATA_H

extern const char tq_digits_data_0[], tq_digits_data_1[], tq_digits_data_2[];

#endif
