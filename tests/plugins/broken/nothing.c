/* A shared object, but no plug-in. */
int truq_nothing(void);

int truq_nothing(void)
{
    return 0;
}
